//! A clock that rings to the microsecond. The runtime's own timers count milliseconds, which is longer than most answers
//! take.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd, RawFd},
    task::{Context, Poll, ready},
    time::Instant,
};

use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use tokio::io::unix::AsyncFd;

/// Rings once at a time.
pub(super) struct Alarm {
    timer: AsyncFd<Timer>,
    set_for: Option<Instant>,
}

struct Timer(TimerFd);

impl Alarm {
    /// Set for no time yet.
    pub(super) fn new() -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what follows it is an unsafe function; this descriptor is owned and stays the same"
        )]
        let timer = AsyncFd::new(Timer(timer))?;
        Ok(Self { timer, set_for: None })
    }

    /// Ready when `at` has come.
    pub(super) fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<io::Result<()>> {
        loop {
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(Ok(()));
            }
            if self.set_for != Some(at) {
                let once = Expiration::OneShot(TimeSpec::from_duration(left));
                self.timer.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
                self.set_for = Some(at);
            }
            let mut rung = ready!(self.timer.poll_read_ready(cx))?;
            // It was for the time before, or a moment early: then it is set again.
            if self.timer.get_ref().0.wait().is_ok() {
                self.set_for = None;
            }
            rung.clear_ready();
        }
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        time::{Duration, Instant},
    };

    use super::Alarm;

    #[tokio::test]
    async fn it_rings_at_its_time_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        let begun = Instant::now();
        for micros in [100, 150, 20_000, 0, 20_100] {
            let at = begun + Duration::from_micros(micros);
            poll_fn(|cx| alarm.poll_until(cx, at)).await.unwrap();
            assert!(Instant::now() >= at);
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn the_time_last_asked_for_counts() {
        let mut alarm = Alarm::new().unwrap();
        let begun = Instant::now();
        let (early, late) = (begun + Duration::from_millis(5), begun + Duration::from_millis(30));
        poll_fn(|cx| {
            assert!(alarm.poll_until(cx, early).is_pending() || Instant::now() >= early);
            alarm.poll_until(cx, late)
        })
        .await
        .unwrap();
        assert!(Instant::now() >= late);
    }
}
