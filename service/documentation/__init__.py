"""What the server says about itself: the page, the OpenAPI document, examples, the catalogue of kinds."""
