"""The catalogue over HTTP: SPARQL 1.1 Protocol, WoT Discovery directory, and pages for people."""
