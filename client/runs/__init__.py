"""Named runs, as a service describes them: their documents, the calls that read and change them, their log book."""
