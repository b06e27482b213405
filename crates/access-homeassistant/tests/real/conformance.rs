//! The port's conformance suite against a real server: for a car, for a door, and for a garage door with a drive.

use parcelshelf_access::conformance;

use crate::rig::HomeRig;

macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        mod car {
            use super::*;
            $(#[tokio::test]
            async fn $story() {
                conformance::$story(&HomeRig::car().await).await;
            })+
        }
        mod door {
            use super::*;
            $(#[tokio::test]
            async fn $story() {
                conformance::$story(&HomeRig::door().await).await;
            })+
        }
        mod garage {
            use super::*;
            $(#[tokio::test]
            async fn $story() {
                conformance::$story(&HomeRig::garage().await).await;
            })+
        }
    };
}
stories! {
    a_parcel_is_delivered,
    a_window_passes,
    preparing_sends_nothing,
    another_class_is_never_sent,
    a_lost_answer_is_unknown,
    a_full_quota_is_not_tried_again,
    a_cars_own_error_is_not_believed,
    a_jammed_lock_is_seen,
    a_car_without_the_command_is_found_out,
    a_withdrawn_consent_is_the_owners_business,
    no_connection_means_it_did_not_happen,
    the_place_is_told_with_its_accuracy,
    nothing_secret_prints,
}
