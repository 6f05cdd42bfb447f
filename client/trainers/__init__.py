"""Tables in other people's trainers: one module per trainer, which imports its package only when it is used."""
