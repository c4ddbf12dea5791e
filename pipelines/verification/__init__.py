"""Anybody's forecast files judged against what happened: out of core, with references and intervals."""
