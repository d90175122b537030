"""What the operator wants: site.yaml as frozen, checked values."""
