//! The inbox: notes that could not be folded, and what does not belong there.

use super::comparison::Verify;
use super::finding::{VerifyClass, VerifyFinding};
use crate::model::name::REGISTRY_DIR;
use crate::ops::inbox;
use crate::store;

impl Verify<'_> {
    /// Checks the inbox, whatever the selection. Notes that wait are not findings.
    pub(super) fn check_inbox(&mut self) {
        let state = match inbox::state(self.base) {
            Ok(state) => state,
            Err(error) => return self.in_inbox("", crate::model::causes::with_causes(&error)),
        };
        for refused in state.refused {
            let detail = match refused.problems.is_empty() {
                true => "each line is a note; the catalog refused one, or its data is another now"
                    .to_owned(),
                false => refused.problems.join("; "),
            };
            self.in_inbox(&format!("/refused/{}", refused.name), detail);
        }
        for name in state.strangers {
            let detail = "its name is not that of a file with notes".to_owned();
            self.in_inbox(&format!("/{name}"), detail);
        }
    }

    fn in_inbox(&mut self, name: &str, detail: String) {
        self.find(VerifyFinding {
            class: VerifyClass::InboxRefused,
            path: store::escape(format!("{REGISTRY_DIR}/inbox{name}").as_ref()),
            artifact: None,
            detail,
            repair: None,
        });
    }
}
