"""From frames to events: things that are followed, counted in lines and zones, and told to others."""
