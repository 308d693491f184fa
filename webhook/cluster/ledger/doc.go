// Package ledger admits changes of meshes one after the other, so that no two that are in flight at once can overlap.
//
// A change is judged in one place and stored in another, a moment later, and in between others are judged that do not see
// it. So a replica that allows a change leaves a claim in the ledger, one ConfigMap, before it answers:
//
//  1. Take the ledger, as a watch or the last write has shown it, or read it past all caches.
//  2. Then list the stored meshes, with consistent reads.
//  3. Judge the change against the stored meshes and against the open claims on other objects. What was there before, and
//     is therefore no reason to refuse, is what is stored: never what a claim would make true.
//  4. If it is allowed, write its claim, on the condition that the ledger is still the one of step 1; else start over.
//  5. Answer.
//
// Step 1 need not ask the API server, because step 4 does: if the write succeeds, the ledger was, from the moment it was seen
// until the write, the one that was seen, and reading it would have given the same. What is refused because of stored meshes, and
// a CREATE or UPDATE that the API server cannot store, is so whatever the ledger holds. In all other cases it is read: if there are
// claims that may be in the way, and may be there no more; for a dry run or a change of nothing that is judged, which write
// nothing; if what was seen is not the ledger of before, or damaged; and in every try after the first.
//
// A claim says exactly what its request said: no more, or it would excuse and hold up what has nothing to do with it, and no less. What
// takes too many bytes for that is refused before step 1 (TooLargeError), as is what the API server cannot store.
//
// A dry run stops before step 4: it stores nothing, so no other request has to know of it. So does a change that leaves everything
// as it was that is judged, and an UPDATE of a version that step 2 did not find any more, because the API server cannot
// store that: it judges it again against the version that there is. A CREATE of an object that step 2 has found is refused,
// as the API server would refuse it.
//
// # When a claim is closed
//
// The replica that writes the ledger leaves out the claims that are closed by what it has itself seen in step 2:
//
//   - a claim of an UPDATE, when the object's stored resourceVersion is not the one that the claim was made on (or there
//     is no such object): it has come true, or cannot, since the API server writes on the condition that the object is
//     the very one that was judged;
//   - a claim of a CREATE, when the object with the claim's uid is stored, or was known before step 2 to have been: it has
//     come true, and cannot a second time, since the API server gives each CREATE a uid of its own before it asks. Another
//     object of that name closes nothing, for it may be deleted before the request in flight arrives. A claim without a uid
//     is closed by its age only;
//   - any claim Lifetime after this replica has seen it first, in a watch or a read. The time that it says it was made is
//     not used: so no clock has to be right, and replicas need not agree.
//
// And a request that is refused although its claim was written, or may have been (the answer to the write was lost, or the
// client went away meanwhile), takes its claim back: it was answered with a refusal, so it cannot come true. Not so if that
// claim has taken the place of an earlier one, which another request may have left that was answered otherwise.
//
// And a claim of an UPDATE that is tried again, the same change of the same version, takes the place of the earlier one: it
// says as much, for longer.
//
// # Why no two overlapping meshes are stored
//
// Assume that at some moment a and b are stored, in different objects, and that they overlap somewhere where neither did so
// before. Let A and B be the requests that gave them what is judged, in the versions of which the API server asked last
// before it stored them, and say that B was stored later. Both have written claims: what leaves none, above, is either not
// stored or changes nothing that is judged. And the writes of the ledger have an order, since each has the one before it as
// its condition.
//
// If A's claim was written first: B's step 1 comes after it, because B's own write, which did not fail, has the ledger of
// step 1 as its condition. So B has read A's claim, or another replica had left it out before, or B itself took it for closed.
// In the first case B was judged in a world with A in it, and compared with what was stored, in which b's
// object and a's did not overlap there: so it was refused. (Compared with the same world without B it would not need to be: if A's
// claim overlapped with b's object as it was stored, which a declaration or an override can have let through, then that would be
// taken for an overlap of before.) In the others a replica had seen in a list, which was over before
// B's list began or was B's own, that the claim was closed. If it was because A was stored, then B's list has it too, as
// what is judged of it has not changed since then; so B was refused. It was not because A could not come true any
// more, as it did. If it was because of its age, then A's request had ended, by the assumption below; so it was stored
// before the list, and B's list has it.
//
// If B's claim was written first, the same holds with the roles exchanged, and shorter: A's step 1 comes after that write, by
// the same condition, and B is stored after A, so after A's judgement. Until then B's claim cannot have been closed except by
// age, which the assumption excludes, nor taken back, as B was not refused: of an UPDATE, the stored version was the one that
// B was made on, because the API server has stored B on that condition; of a CREATE, nothing with its uid was stored. A has
// read it and was refused.
//
// That each was judged against the other's claim and not only in the company of all other claims is why Worlds holds every
// claim in some world, and why a change has to be right in all of them.
//
// This is why the ledger is taken before the list, and not after it: a claim that is missing there was closed because of
// something that the later list shows.
//
// # What is assumed
//
//   - An API request ends, one way or the other, within Lifetime after its admission; see there for why it does. Each replica
//     measures that by its own clock, from when it has first seen the claim, so it only matters that a clock goes on.
//   - Validating admission of an UPDATE sees the very object that the following write is conditional on, and what an API
//     server lists, asked for the latest, holds whatever any API server had stored before.
//   - The rules refuse overlaps. Where a mode, an action, an override or a declaration lets one through, it is let through.
//   - Nothing else takes claims away. If the ConfigMap is deleted, or created again, each replica that has known
//     the old one refuses all changes of meshes for Lifetime, after which no request of before can be in flight: from when a
//     watch or a read has shown it that the old one is gone, with all the claims that there ever were in it. A
//     replica that has been started since cannot know. An older copy that is put in its place, as an update, is not noticed.
//   - What is not judged leaves no claim: changes by exempt users, and those of finalizers, status and other metadata of an
//     object that is being deleted. What is judged of it is claimed like that of any other.
//   - A declaration that an overlap is meant, and the tags, are read in step 2 and are not part of what is claimed against
//     each other: taking a declaration away at the same moment as another mesh relies on it is found by an audit only.
//
// # How much one request can hold up
//
// A claim makes others wait that conflict with exactly what its request said, until it is closed. One object has at most
// maxOfObject open claims and one user maxOfUser, and either of them maxShare bytes, so that there is room for those of
// others; a request over that is refused, alone (FullError). Only a dozen users together can fill the ledger: maxLedger. What
// claims take when they are read, in memory and time, is bounded too, since text can be compressed a thousandfold. And one user
// has at most maxWaiting requests that wait for their turn, whether or not they will leave a claim, one of which at a time waits
// among the requests of others: the order in which requests are admitted is none of the argument above.
//
// The tests of this package run two and three requests in every order of their steps that there is, with the list as one
// step. It is several, one for each resource, side by side: what one of them has missed was stored after it began, so its claim
// is in the ledger that was read, or was written later, which the write of step 4 finds out; and package cluster reads Istios
// again if a revision is there whose Istio is not.
package ledger
