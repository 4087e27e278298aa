"""From what arrives to alerts, and from alerts to what they are about."""
