"""What goes wrong in the field, by name: ours must not do it."""
