"""Tables as pictures without a drawing library: what is drawn, where it goes, and how it is written."""
