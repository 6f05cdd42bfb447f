"""Tables and specs in HTTP: paths, formats, manifests, responses, and the request bodies that bring them."""
