"""What people and networks look at: the stimulus table, its images, occlusion and rendered faces."""
