"""datacat beside other libraries; each is imported only when asked for."""
