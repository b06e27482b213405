//! A running attempt's pictures: taken by the task that owns it, one after the other, so that their numbers have no gap.

use std::sync::Arc;

use parcelshelf_core::time::Timestamp;
use parcelshelf_opening::attempt::Event;
use parcelshelf_protocol::content::Picture;

use super::{Driver, Ids, Message};
use crate::db::Change;
use crate::failure::Failure;
use crate::recorded;

impl Driver {
    /// A picture each second as long as anything is or may be open, and one more.
    pub(super) fn record_while(&mut self, busy: bool) {
        let now = self.k.host.now();
        self.idle_since = if busy { None } else { Some(self.idle_since.unwrap_or(now)) };
        if busy && !self.picturing && self.picture.is_none() {
            self.picture_after(now);
        }
    }
    fn picture_after(&mut self, asked: Timestamp) {
        let pace = self.recorder.as_ref().and_then(|r| r.state.pace_ms(self.k.host.now()));
        self.picture = pace.map(|ms| asked.plus_millis(ms));
    }
    /// One that cannot go on after a crash is a camera that shows nothing.
    pub(super) async fn take_picture(&mut self) {
        if self.recorder.is_none() {
            return self.step(Event::CameraLost).await;
        }
        self.awaited += 1;
        self.picturing = true;
        let (k, line, own, wallet) = (Arc::clone(&self.k), self.line.clone(), self.own.clone(), self.ids.wallet);
        tokio::spawn(async move {
            let asked = k.host.now();
            let taken = async {
                let session = k.session(wallet, line.facts().maker).await.ok()?;
                line.snapshot(&session).await.ok().and_then(|taken| recorded::kept(taken, asked))
            };
            let _ = own.send(Message::Pictured(asked, taken.await));
        });
    }
    /// Sealed and on the disk before the next one is asked for.
    pub(super) async fn pictured(&mut self, asked: Timestamp, picture: Option<Picture>) {
        let Some(recorder) = self.recorder.as_ref().filter(|_| !self.erased) else { return };
        let (state, now) = (recorder.state, self.k.host.now());
        let (mut next, mut seen) = state.saw(picture.as_ref().map(recorded::name_of), now);
        if let (Some(number), Some(picture)) = (seen.keep, &picture)
            && let Err(failure) = self.keep_picture(number, picture).await
        {
            tracing::error!(error = %failure, "a picture of a recording could not be stored");
            // What is not kept was not seen, and the number is free still.
            (next, seen) = state.saw(None, now);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.state = next;
        }
        if seen.lost {
            self.step(Event::CameraLost).await;
        }
        if self.idle_since.is_none_or(|since| asked < since) {
            self.picture_after(asked);
        }
    }
    /// Whose pictures they are, and when their attempt began.
    pub(super) const fn of_recording(&self) -> (Ids, Timestamp) {
        (self.ids, Timestamp::from_unix_millis(self.row.value.begun_ms))
    }
    async fn keep_picture(&self, number: u32, picture: &Picture) -> Result<(), Failure> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let mut change = Change::new(&self.k.db, &self.k.host);
        self.k.put_picture(&mut change, self.of_recording(), &recorder.to, number, picture)?;
        change.commit().await?;
        Ok(())
    }
}
