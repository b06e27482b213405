//! Messages whose signature was checked. Only the verifying functions of this crate make them.

macro_rules! verified {
    ($($(#[$doc:meta])+ $name:ident($claims:ty)),+ $(,)?) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            jws: String,
            hash: $crate::encoding::Hash,
            claims: $claims,
        }
        impl $name {
            pub(crate) fn new(jws: &str, claims: $claims) -> Self {
                Self { jws: jws.to_owned(), hash: $crate::encoding::sha256(jws), claims }
            }
            /// The very characters that were signed; what is stored and handed on.
            #[must_use]
            pub fn jws(&self) -> &str { &self.jws }
            /// SHA-256 of those characters.
            #[must_use]
            pub const fn hash(&self) -> $crate::encoding::Hash { self.hash }
            /// What was said.
            #[must_use]
            pub const fn claims(&self) -> &$claims { &self.claims }
        }
    )+};
}
pub(crate) use verified;
