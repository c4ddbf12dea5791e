"""Recurrent cells and stacks: state goes in and comes out, none is hidden."""
