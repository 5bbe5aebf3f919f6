// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kernel/object_spec.h"
#include "kernel/sync_spec.h"
#include "kernel/trace_target.h"

namespace mapshift {

// Everything that an update does to the running system, one failable call each. The executor knows no other way, so that
// a fake can fail the n-th call for every n, and so that a restarted agent can go on: whatever matters is named by a path
// in bpffs and not by a descriptor of this process.
//
// Layout in bpffs (names with '.' are reserved by the kernel, so section maps are "bss", "data_x"):
//   <bpffs>/mapshift/<module>/maps/<map>               the active generation's maps, replaced by one rename each
//   <bpffs>/mapshift/<module>/gen/<n>/maps/<map>, progs/<program>
//   <bpffs>/mapshift/<module>/hooks/<program>/link     and for dispatchers: stub, slots, word, course, misses, sides
//   <bpffs>/mapshift/<module>/together/course          the one word of all dispatchers of the module
//   <bpffs>/mapshift/<module>/sync/<map>/base, state
//   <bpffs>/mapshift/<module>/kept/<map>/old, sync/       after a commit: an old map that processes still hold, and its base
// Thread safety: every member may be called from any thread; calls on the same path must not overlap.

struct Hook {  // where a program attaches; the kernel layer's view of update::AttachSpec
  std::string type;  // "xdp", "tcx", "cgroup", "tracepoint", "raw_tracepoint"
  std::string interface = {}, mode = {}, direction = {}, category = {}, name = {}, path = {}, hook = {};
  uint32_t priority = 0, handle = 0;  // tc: 0 takes a free priority, and handle 1
  TraceTarget trace = {};
  std::string together = {};  // the folder of the module's word, for a dispatcher; empty: the hook only moves alone
  bool stub = false;          // behind a dispatcher although its link could be updated
  std::string map = {};       // sockmap, iter: the map of the module that the program hangs at, by its name
};

enum class SwapMode : uint8_t {
  kNative,
  kDispatcher,
  kOverlap,  // programs that may sleep: both are attached for a while
  kFilter,  // no link: a filter of traffic control, replaced at its place
};

struct LoadRequest {
  std::string object_path;
  std::string object_digest;  // the file must still have it
  std::string generation_dir;
  std::map<std::string, std::string> reuse;            // map name -> pin of a running map to use instead of a new one
  std::map<std::string, uint32_t> max_entries;
  std::map<std::string, std::vector<std::byte>> rodata;  // variable name -> its bytes, exactly its size
  std::map<std::string, std::map<uint32_t, std::string>> prog_arrays;  // map -> slot -> program of the same object
  std::vector<std::string> optional_programs;          // may fail to load
  std::map<std::string, bool> load = {};               // by program; of others their sections say whether ('?')
  std::map<std::string, Hook> hooks;                   // programs that will attach: expected attach types come from here
  std::string log_dir;                                 // where a verifier log is kept when a program is refused
  // The object is loaded once for each of these; hooks, pins to reuse and the report have full names (kernel/instance_name.h).
  std::vector<std::string> instances = {};             // empty: once, for all
  std::set<std::string> instance_maps = {}, instance_programs = {};  // that each has of its own; program arrays are among them
};

// Links of programs that somebody else attached.
struct AdoptRequest {
  std::vector<uint32_t> links;
  std::optional<uint32_t> program;      // that the first of them must run: ids are given out again
  std::string module_dir;               // <bpffs>/mapshift/<module>
  uint64_t generation = 1;              // under which it is pinned
  std::vector<std::string> map_names = {}, program_names = {};  // whole names, where an object file tells; the kernel cuts them
};

struct AdoptReport {
  std::map<std::string, Hook> hooks;  // by program
  std::vector<std::string> maps;
};

struct LoadReport {
  std::vector<std::string> programs;          // that loaded
  std::vector<std::string> skipped_programs;  // optional ones that did not
};

struct ProgramStats {
  uint32_t id = 0;
  uint64_t runs = 0, run_ns = 0, missed = 0;  // run_* only while statistics are enabled
};

struct MapStats {
  uint32_t id = 0;
  MapType type = MapType::kUnspec;
  uint32_t key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  uint64_t memory_bytes = 0;
};

struct SwapReport {
  Nanos began{0}, ended{0};  // monotonic, around the one call that changes what events run
  Nanos overlap{0};          // kOverlap: how long both programs were attached
};

// Which way the hooks of a module go that move together: their one word, in parts. Values are those of mapshift/course.h.
struct Course {
  bool odd = false;        // together with a hook's own bit: the slot that events go to
  uint32_t share = 0;      // of 2^32: events that go to the other slot
  bool by_flow = false;    // a share of flows: all packets of one go the same way
  bool watched = false;    // what each generation does is counted: side_stats()
  bool operator==(const Course&) const = default;
};

// What a hook's dispatcher counted of one generation since it was staged, while the course was watched.
struct SideStats {
  uint64_t events = 0;
  uint64_t timed = 0, run_ns = 0;          // one event of some is timed
  std::map<int, uint64_t> verdicts = {};   // by return code; what has no counter of its own is under INT_MAX
};
struct SidesReport {
  SideStats from, to;
  uint64_t misses = 0;  // events that found no program
};

// Which generation is authoritative, and who may be writing.
enum class SyncPhase : uint8_t {
  kPrecopy,   // side 0 runs, side 1 is attached nowhere: only side 1 is written, plainly
  kLiveNew,   // side 1 is active; side 0 may still be written by programs that are ending and by user space
  kLiveOld,   // after a rollback: side 0 is active again
};

struct PassReport {
  uint64_t keys = 0;       // visited
  uint64_t added = 0, changed = 0, deleted = 0, conflicts = 0, clamped = 0, undeclared = 0;
  uint64_t dropped_deltas = 0;   // counts that moved on the passive side of a key which the active side deleted
  uint64_t full0 = 0, full1 = 0; // keys that found no room on side 0 or 1 (distinct only within the pass)
  uint64_t no_key0 = 0, no_key1 = 0;  // keys that side 0 or 1, whose keys have another layout, has no way to write
  uint64_t base_full = 0;        // keys that found no room in the base: the update must not swap
  uint64_t pending = 0;          // keys that wait for the next pass, of which something may have to move from the passive side
  uint64_t risky = 0;            // writes whose element was gone or replaced on a second look
  uint64_t unsafe_wide = 0;      // changes of wide fields that could not be carried to the active side
  uint64_t from_passive = 0;     // of `changed + added + deleted`: what moved from the passive to the active side
  uint64_t hot = 0;              // keys remembered for sync_hot
  uint64_t followed = 0;         // keys that a handler brought, during this full pass and since the last
  uint64_t missed = 0;           // writes since the beginning of which a handler could not say the key: passes found them
  bool hot_overflow = false;
  Nanos began{0}, ended{0};
  // Nothing moved and nothing waits to be moved from the passive to the active side.
  [[nodiscard]] bool settled() const { return from_passive == 0 && pending == 0; }
};

struct VerifyReport {
  uint64_t keys = 0, mismatched = 0;
};

// One pair of maps under synchronisation. Not thread-safe: one pass thread. What a handler brings between two passes is
// carried in the phase of the last call, and counted in the next report of a full one.
class Sync {
 public:
  virtual ~Sync() = default;
  // A sweep over the maps and the base, on every CPU where the maps are per-CPU. Before the swap a pass that is not
  // `complete` looks at side 0 only, and at the base only when the number of keys says that some went away; once both
  // sides may be written every pass is complete.
  [[nodiscard]] virtual Result<PassReport> pass(SyncPhase phase, bool complete) = 0;
  // Only the keys that the last full pass (or sync_hot) found changed.
  [[nodiscard]] virtual Result<PassReport> pass_hot(SyncPhase phase) = 0;
  // From its return on nothing is carried in another phase than this one, until the next call. Before a hook is swapped.
  virtual void enter(SyncPhase /*phase*/) {}
  // A handler brings what update calls write. It begins with the end of the first pass.
  [[nodiscard]] virtual bool follows() const { return false; }
  // Compares both sides key by key, through the same field table, without writing. What waits for the next pass is no
  // mismatch; but under load the two sides of a key are not read at one instant, so that one may seem to differ.
  [[nodiscard]] virtual Result<VerifyReport> verify() = 0;
  // After another pass: of the keys that seemed to differ at the last call of either, those that still do.
  [[nodiscard]] virtual Result<VerifyReport> verify_again() { return verify(); }
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Loads an object and pins its maps and programs below generation_dir. On failure nothing is left behind.
  // kKernel with the verifier's last lines in Error::context and the file of the whole log in the message.
  [[nodiscard]] virtual Result<LoadReport> load(const LoadRequest& request) = 0;
  // Removes every pin below `dir`, and `dir`. Nothing there: not an error. With a generation go hooks that only it had.
  [[nodiscard]] virtual Status remove_tree(const std::string& dir) = 0;
  // Makes `published` a pin of the object pinned at `source`: a new pin beside it, renamed over it (atomic in bpffs).
  [[nodiscard]] virtual Status publish(const std::string& source, const std::string& published) = 0;
  [[nodiscard]] virtual Status unpublish(const std::string& published) = 0;

  // Pins links, their programs and those programs' maps as a generation that is attached. Nothing that runs is changed; on
  // failure nothing is left behind. kUnsupported: a hook that is not served; kConflict: another module's, or changed meanwhile.
  [[nodiscard]] virtual Result<AdoptReport> adopt(const AdoptRequest& /*request*/) {
    return fail(ErrorCode::kUnsupported, "this kernel layer adopts nothing");
  }
  // What the pins below generation_dir tell of it: maps with the types of their BTF, programs without instructions.
  [[nodiscard]] virtual Result<ObjectSpec> read_generation(const std::string& /*generation_dir*/) {
    return fail(ErrorCode::kUnsupported, "this kernel layer reads no generations");
  }

  // Checks that the hook exists and this kernel serves its type; changes nothing.
  [[nodiscard]] virtual Status check_hook(const Hook& hook) = 0;
  [[nodiscard]] virtual Result<SwapMode> swap_mode(const Hook& hook) = 0;
  // Attaches the program pinned at `program` and pins the link (and dispatcher) in hook_dir.
  [[nodiscard]] virtual Status attach(const Hook& hook, const std::string& hook_dir, const std::string& program) = 0;
  // A table of functions (struct_ops) is pinned among its generation's programs, and named as one is.
  // Replaces `from` by `to` at the hook, as compare-and-swap: kConflict when something else is attached there. A hook without
  // a link (tc) is compared first and replaced then: see kernel/attach/filter.h for the window.
  [[nodiscard]] virtual Result<SwapReport> swap(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                                const std::string& to) = 0;
  // Which of the two programs (pins) the hook runs now: 0 for `from`, 1 for `to`; kConflict when it is neither. An empty path
  // stands for an empty slot. Of a course with a share: what most events run.
  [[nodiscard]] virtual Result<int> running(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                            const std::string& to) = 0;
  [[nodiscard]] virtual Status detach(const std::string& hook_dir) = 0;
  // Whether the interface, cgroup or network namespace of a hook that was attached is gone: nothing runs there any more, and only
  // detach() and attach(), which begins anew where a place of that name is there again, make sense. Nothing attached: false.
  [[nodiscard]] virtual Result<bool> place_gone(const std::string& /*hook_dir*/) { return false; }

  // Hooks that move together stand behind dispatchers with two slots each; the word in Hook::together says which one events go
  // to. stage() puts the hook behind such a dispatcher while it runs `from` all along, and `to` into its other slot. Without
  // `from` the hook is new, and runs nothing until the word moves; without `to` it runs nothing afterwards.
  [[nodiscard]] virtual Status stage(const Hook& hook, const std::string& hook_dir, const std::string& from, const std::string& to) = 0;
  // Undoes stage() where events go to `from`, whatever of it was done; without Hook::stub a native hook leaves its dispatcher.
  // No event may still be on its way to the other slot: a grace period after the word moved.
  [[nodiscard]] virtual Status unstage(const Hook& hook, const std::string& hook_dir, const std::string& from) = 0;
  [[nodiscard]] virtual Result<Course> course(const std::string& together_dir) = 0;
  // One store, as compare-and-swap: kConflict when the word is not `from`.
  [[nodiscard]] virtual Result<SwapReport> set_course(const std::string& together_dir, const Course& from, const Course& to) = 0;
  // kNotFound when the hook stands behind no dispatcher. An empty path is a generation that does not have the program.
  [[nodiscard]] virtual Result<SidesReport> side_stats(const std::string& hook_dir, const std::string& from, const std::string& to) = 0;
  // Returns when no non-sleepable program that was running at the call can still be running.
  [[nodiscard]] virtual Status grace_period() = 0;

  // Opens the synchronisation of two pinned maps. The base is pinned in sync_dir; when one is there already, it is
  // continued: locks that a dead agent left are cleared by the first pass.
  [[nodiscard]] virtual Result<std::unique_ptr<Sync>> open_sync(const SyncSpec& spec, const std::string& map0,
                                                                const std::string& map1, const std::string& sync_dir) = 0;

  [[nodiscard]] virtual Result<ProgramStats> program_stats(const std::string& program) = 0;
  // Of the program that the hook's link runs. For a dispatcher that is its stub, and includes what it tail-calls: the
  // kernel counts a tail call as part of the program that made it.
  [[nodiscard]] virtual Result<ProgramStats> hook_stats(const std::string& hook_dir) = 0;
  [[nodiscard]] virtual Result<MapStats> map_stats(const std::string& map) = 0;
  [[nodiscard]] virtual Result<uint64_t> count_entries(const std::string& map) = 0;
  // The bytes of one element; per-CPU values concatenated, each rounded up to 8 bytes. Key index 0 for arrays.
  [[nodiscard]] virtual Result<std::vector<std::byte>> read_element(const std::string& map, const std::vector<std::byte>& key) = 0;
  // The layout of a running map from its BTF; key and value types are null when it has none.
  [[nodiscard]] virtual Result<MapSpec> read_map_spec(const std::string& map) = 0;
  // Names of what lies directly below `dir`; empty when it does not exist.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& dir) = 0;
  [[nodiscard]] virtual uint64_t available_memory() = 0;  // bytes
};

}  // namespace mapshift
