"""Everything that changes a session comes through here: admit, batch, fold, commit, answer."""
