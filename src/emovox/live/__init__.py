"""Live sound on this machine: microphone, session, recorder, speakers, the view in the terminal."""
