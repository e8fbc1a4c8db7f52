"""What Grafana reads."""
