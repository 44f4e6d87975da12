//! Conversations and groups over HTTP, as data.

use natter_protocol::{
    AcceptedView, ChangeDraft, ErrorCode, GroupChangeDraft, GroupDraft, InviteDraft, JoinDraft, MemberDraft, Role,
    RoleDraft,
};

use crate::{
    examples,
    http_api::{Body, Operation, Parameter, body, conversation, reference},
};

/// What a change of a group may be refused with.
const ERRORS: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::TooLarge,
    ErrorCode::NotAMember,
    ErrorCode::NotAllowed,
    ErrorCode::ClientIdConflict,
    ErrorCode::ClientIdInFuture,
];
const ADDING: &[ErrorCode] = &[
    ErrorCode::Malformed,
    ErrorCode::NotAMember,
    ErrorCode::NotAllowed,
    ErrorCode::GroupFull,
    ErrorCode::ClientIdConflict,
    ErrorCode::ClientIdInFuture,
];

pub(crate) fn operations() -> anyhow::Result<Vec<Operation>> {
    let mut operations = vec![open_direct()?, create_group()?, join()?];
    operations.extend(changes()?);
    operations.extend(of_members()?);
    operations.extend(invites()?);
    Ok(operations)
}

fn user(description: &'static str) -> Parameter {
    Parameter { name: "user", place: "path", description, schema: reference("UserId") }
}

fn open_direct() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "put",
        path: "/v1/direct/{user}",
        id: "openDirect",
        summary: "Opens the direct conversation with a user, or finds it.",
        description: "Said twice, done once.",
        parameters: vec![user("With whom.")],
        body: None,
        status: 200,
        answer: body("ConversationView", examples::direct_view())?,
        errors: &[ErrorCode::Malformed],
    })
}

fn create_group() -> anyhow::Result<Operation> {
    let members = vec![examples::user("bob"), examples::user("carol")];
    let draft = GroupDraft { client_id: examples::client_id(), name: "Hiking".to_owned(), members };
    Ok(Operation {
        method: "post",
        path: "/v1/conversations",
        id: "createGroup",
        summary: "Creates a group, whose owner the user is.",
        description: "A retry with the same client id finds it.",
        parameters: Vec::new(),
        body: Some(body("GroupDraft", draft)?),
        status: 200,
        answer: body("ConversationView", examples::group_view())?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::ClientIdConflict, ErrorCode::ClientIdInFuture],
    })
}

fn join() -> anyhow::Result<Operation> {
    Ok(Operation {
        method: "post",
        path: "/v1/join",
        id: "join",
        summary: "Comes into a group by an invite's code; a member finds it.",
        description: "What never was, has ended or is used up is answered alike: `no_such_invite`.",
        parameters: Vec::new(),
        body: Some(body("JoinDraft", JoinDraft { code: examples::invite().to_string() })?),
        status: 200,
        answer: body("ConversationView", examples::group_view())?,
        errors: &[ErrorCode::Malformed, ErrorCode::NotAllowed, ErrorCode::NoSuchInvite, ErrorCode::GroupFull],
    })
}

fn change(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    (parameters, body): (Vec<Parameter>, Body),
    errors: &'static [ErrorCode],
) -> anyhow::Result<Operation> {
    let (conversation, client_id) = (examples::group(), examples::client_id());
    let accepted = AcceptedView { conversation, client_id, seq: 2090, time: examples::TIME };
    Ok(Operation {
        method: "post",
        path,
        id,
        summary,
        description: "A retry with the same client id gets the first answer, however late it comes.",
        parameters,
        body: Some(body),
        status: 200,
        answer: self::body("AcceptedView", accepted)?,
        errors,
    })
}

fn changes() -> anyhow::Result<[Operation; 3]> {
    let client_id = examples::client_id();
    let set_up = body("GroupChangeDraft", GroupChangeDraft { client_id, patch: examples::patch() })?;
    let added = body("MemberDraft", MemberDraft { client_id, user: examples::user("dave") })?;
    let leaves = body("ChangeDraft", ChangeDraft { client_id })?;
    Ok([
        change(
            "/v1/conversations/{conversation}/change",
            "changeGroup",
            "Changes how a group is set up; for those who manage it.",
            (vec![conversation()], set_up),
            ERRORS,
        )?,
        change(
            "/v1/conversations/{conversation}/members",
            "addMember",
            "Adds a user to a group.",
            (vec![conversation()], added),
            ADDING,
        )?,
        change(
            "/v1/conversations/{conversation}/leave",
            "leaveGroup",
            "Leaves a group; an owner hands it over first.",
            (vec![conversation()], leaves),
            ERRORS,
        )?,
    ])
}

fn of_members() -> anyhow::Result<[Operation; 4]> {
    let client_id = examples::client_id();
    let only_id = || body("ChangeDraft", ChangeDraft { client_id });
    let path = || vec![conversation(), user("Whom.")];
    Ok([
        change(
            "/v1/conversations/{conversation}/members/{user}/remove",
            "removeMember",
            "Removes a member who stands below.",
            (path(), only_id()?),
            ERRORS,
        )?,
        change(
            "/v1/conversations/{conversation}/members/{user}/role",
            "changeRole",
            "Gives a member another role; for owners. With `owner` the group is handed over.",
            (path(), body("RoleDraft", RoleDraft { client_id, role: Role::Admin })?),
            ERRORS,
        )?,
        change(
            "/v1/conversations/{conversation}/members/{user}/ban",
            "banMember",
            "Bars a user from a group, whether they are a member or not.",
            (path(), only_id()?),
            ERRORS,
        )?,
        change(
            "/v1/conversations/{conversation}/members/{user}/unban",
            "unbanMember",
            "Lets a barred user be added again.",
            (path(), only_id()?),
            ERRORS,
        )?,
    ])
}

fn invites() -> anyhow::Result<[Operation; 3]> {
    let secret = examples::invite().secret().to_owned();
    let draft = InviteDraft { secret, expires_at: Some(examples::TIME + 86_400_000), uses_max: Some(10) };
    let invite =
        Parameter { name: "invite", place: "path", description: "Which invite.", schema: reference("InviteId") };
    let list = Operation {
        method: "get",
        path: "/v1/conversations/{conversation}/invites",
        id: "listInvites",
        summary: "Lists the invites of a group that hold.",
        description: "Their codes are told only to who makes them.",
        parameters: vec![conversation()],
        body: None,
        status: 200,
        answer: body("InvitePage", examples::invite_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::NotAMember],
    };
    let create = Operation {
        method: "post",
        path: "/v1/conversations/{conversation}/invites",
        id: "createInvite",
        summary: "Makes an invite, with whose code anybody comes into the group.",
        description: "A retry with the same secret finds it.",
        parameters: vec![conversation()],
        body: Some(body("InviteDraft", draft)?),
        status: 200,
        answer: body("InviteView", examples::invite_view(true))?,
        errors: &[ErrorCode::Malformed, ErrorCode::TooLarge, ErrorCode::NotAMember, ErrorCode::NotAllowed],
    };
    let revoke = Operation {
        method: "delete",
        path: "/v1/conversations/{conversation}/invites/{invite}",
        id: "revokeInvite",
        summary: "Ends an invite; for those who manage the group.",
        description: "Said twice, done once. Answered with the invites that are left.",
        parameters: vec![conversation(), invite],
        body: None,
        status: 200,
        answer: body("InvitePage", examples::invite_page())?,
        errors: &[ErrorCode::Malformed, ErrorCode::NotAMember, ErrorCode::NotAllowed, ErrorCode::NoSuchInvite],
    };
    Ok([list, create, revoke])
}
