//! The port's conformance suite against the simulated garage.

use parcelshelf_access::conformance;

use crate::rig::GarageRig;

macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $story() {
            conformance::$story(&GarageRig::new().await).await;
        })+
    };
}
stories! {
    a_parcel_is_delivered,
    a_window_passes,
    preparing_sends_nothing,
    another_class_is_never_sent,
    a_lost_answer_is_unknown,
    a_cars_own_error_is_not_believed,
    a_jammed_lock_is_seen,
    a_car_without_the_command_is_found_out,
    a_withdrawn_consent_is_the_owners_business,
    no_connection_means_it_did_not_happen,
    the_place_is_told_with_its_accuracy,
    nothing_secret_prints,
}
