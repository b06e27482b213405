//! Door locks that a Seam workspace knows, behind the access port.
