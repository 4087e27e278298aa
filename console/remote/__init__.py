"""The responder from the operator's side: calls, the stream of events, the truth about the connection. No Textual."""
