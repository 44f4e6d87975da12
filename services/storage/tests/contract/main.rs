//! One suite for the archive, run over SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, missing_docs)]

mod archive;
mod backlog;
mod changes;
mod database;
mod dedupe;
mod derived;
mod gaps;
mod groups;
mod history;
mod log;
mod marks;
mod members;
mod mentions;
mod model;
mod overview;
mod requests;
mod rollback;
mod states;
mod timers;
mod unheard;

macro_rules! contract {
    ($($module:ident: $($test:ident)*;)*) => {
        mod on_sqlite { $(mod $module { $(
            #[tokio::test]
            async fn $test() {
                crate::$module::$test(&crate::database::Database::sqlite()).await;
            }
        )* })* }
        mod on_postgres { $(mod $module { $(
            #[tokio::test]
            async fn $test() {
                crate::$module::$test(&crate::database::Database::postgres().await).await;
            }
        )* })* }
    };
}

contract! {
    archive:
        a_restart_continues_where_the_archive_is
        a_stale_replica_is_fenced
        of_two_replicas_one_wins
        replicas_may_start_at_once
        numbers_must_rise
        unreadable_entries_are_passed
        links_lead_from_entry_to_entry
        texts_come_back_byte_for_byte
        a_repeated_message_is_void
        large_batches_and_groups_fit;
    members:
        odd_user_ids_are_taken_as_they_are
        membership_tells_role_fence_and_count
        a_second_beginning_changes_nothing
        a_roster_is_of_its_moment
        strangers_are_told_nothing
        pages_go_on_after_the_last
        acquaintances_share_a_conversation_now
        notes_to_oneself_are_a_conversation;
    groups:
        settings_are_those_of_the_last_change
        roles_and_bans_follow_the_log
        invites_are_counted_and_end
        the_past_is_shown_where_the_group_says;
    history:
        pages_in_both_directions
        only_spans_of_membership_are_visible
        pages_are_bounded_in_bytes;
    changes:
        a_deleted_text_is_nowhere
        an_edit_shows_in_history_and_can_be_told
        an_edit_after_the_deletion_leaves_nothing
        only_who_may_changes_anything
        a_retry_of_what_was_deleted_is_recognised
        the_log_erases_what_was_deleted_once_ids_are_old;
    states:
        reactions_are_a_set_and_bounded
        pinned_messages_are_listed
        who_has_reacted_is_told_page_by_page
        what_a_message_is_now_is_told_to_members_only
        an_unknown_kind_is_archived_as_it_is;
    timers:
        messages_disappear_when_they_are_due
        only_the_owner_of_a_group_sets_its_timer
        a_repeat_disappears_with_the_first
        what_is_due_is_shown_no_more
        a_partition_waits_for_no_other;
    marks:
        marks_rise_and_never_go_back
        concurrent_writers_leave_the_largest
        what_has_changed_comes_once_page_by_page
        read_receipts_can_be_switched_off
        strangers_mark_nothing
        receipts_tell_who_and_how_many
        large_conversations_are_not_told
        what_is_hidden_is_told_to_nobody_else
        the_release_before_may_write_marks
        who_has_left_is_told_of_no_more;
    overview:
        the_list_is_by_last_activity
        unread_messages_are_counted
        what_has_changed_comes_alone
        arrangements_are_kept
        an_archive_from_before_learns_its_times
        long_texts_are_cut
        pages_end_where_their_bytes_do
        an_edited_message_is_shown_as_it_is
        only_what_one_says_counts_as_said
        numbers_from_before_a_restore_count_for_nothing
        a_mark_that_is_not_shown_changes_nothing;
    derived:
        what_was_archived_before_is_found
        the_release_before_may_archive_in_between
        history_steps_over_reactions
        the_weight_of_a_message_does_not_drift
        only_texts_are_noted_for_erasing;
    mentions:
        mentions_are_counted_as_unread_messages_are
        mentions_follow_the_text;
    unheard:
        a_held_mark_is_told_once_the_block_is_lifted
        who_came_later_does_not_get_the_text;
    requests:
        what_strangers_begin_is_a_request
        nothing_is_shown_until_it_is_accepted
        whatever_one_says_accepts;
    gaps:
        a_gap_counts_once_it_is_passed;
    backlog:
        what_was_missed_comes_by_partition_and_number
        a_full_page_tells_where_to_go_on
        spans_begin_and_end_inside
        a_position_never_goes_back
        pages_are_bounded_in_bytes
        many_conversations_are_merged;
}
