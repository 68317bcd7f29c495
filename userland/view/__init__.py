"""Pictures of a run: one HTML page with a time line (recorder, story, page), or a live terminal."""
