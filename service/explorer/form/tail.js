// The form of a schedule alone, as a part of something that has a table around it.

import { el } from "../common/dom.js";
import { Form } from "./form.js";

/** The form of a tail: schedules without other columns and without a layout, which are the run's. */
export class TailForm extends Form {
  columns() {
    return [];
  }

  layout() {
    return el("fieldset", { hidden: true });
  }
}
