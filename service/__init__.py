"""The HTTP server: computes, keeps and serves tables. Imports the scheduler, never the client."""

# package of the distribution lrtables
