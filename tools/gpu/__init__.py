"""What tools/register-table and tools/gpu-report are made of."""
