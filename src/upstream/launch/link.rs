//! The socket between the gateway and one guard: the child's three pipe ends travel with the head of the order.
//!
//! The gateway's end of it is also the lifeline: it is closed on exec and never duplicated, so the guard reads end of
//! file exactly when the gateway lets go of the child or is no more.

use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};

use super::wire::{self, HEAD, Order};

/// The child's ends of its pipes.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Sends the head of an order of `length` bytes together with the child's pipe ends.
pub(super) fn send_head(link: impl AsFd, length: usize, ends: &Ends) -> io::Result<()> {
    let head = wire::head(length);
    let ends = [ends.stdin.as_fd(), ends.stdout.as_fd(), ends.stderr.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    let fits = rights.push(SendAncillaryMessage::ScmRights(&ends));
    debug_assert!(fits, "the space was computed for three descriptors");
    let sent = sendmsg(link, &[IoSlice::new(&head)], &mut rights, SendFlags::NOSIGNAL)?;
    // The socket is fresh and empty, so eight bytes always fit as a whole.
    if sent == HEAD {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Receives what [`send_head`] and the order's bytes behind it say. Blocks.
pub(super) fn receive_order(mut link: &UnixStream) -> io::Result<(Order, Ends)> {
    let mut head = [0; HEAD];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = recvmsg(link, &mut [IoSliceMut::new(&mut head)], &mut rights, flags)?;
    if received.bytes != HEAD {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors = rights.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (descriptors.next(), descriptors.next(), descriptors.next())
    else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "an order without its three pipes",
        ));
    };
    let mut order = vec![0; wire::order_length(head)?];
    link.read_exact(&mut order)?;
    Ok((
        Order::decode(&order)?,
        Ends {
            stdin,
            stdout,
            stderr,
        },
    ))
}
