//! What a user lets others see, kept with what gateways know of them.

use natter_bus::users::Told;
use natter_ids::UserId;
use natter_protocol::{ErrorBody, PrivacyView};

use crate::{members::unavailable, server::Shared};

impl Shared {
    pub(crate) async fn privacy(&self, user: &UserId) -> Result<PrivacyView, ErrorBody> {
        Ok(self.bus.user_record(user).await.map_err(unavailable)?.record.privacy)
    }

    /// Changes it; every gateway and presence is told, once it is stored.
    pub(crate) async fn set_privacy(&self, user: &UserId, privacy: PrivacyView) -> Result<PrivacyView, ErrorBody> {
        self.change_record(user, |record| {
            record.privacy = privacy;
            Ok(())
        })
        .await?;
        let told = Told::Privacy { user: user.clone(), privacy };
        self.bus.tell_gateways(&told).await.map_err(unavailable)?;
        Ok(privacy)
    }
}
