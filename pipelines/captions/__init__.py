"""The captions side of every verb: clips, scores, contact sheets and subtitles."""
