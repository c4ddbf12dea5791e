"""From recurrent state to an answer: maps by rollout."""
