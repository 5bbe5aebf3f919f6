// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <set>

#include "kernel/table.h"

namespace mapshift {

// Two maps kept in step by system calls alone, for kinds that the kernel lets no program walk: the same rules as the engine's
// (bpf/sync), but a value is read and written as a whole. What a program changes in place between these two is lost; what user
// space writes is not. Each change stands in the base as an intent before it is made, so that an agent that died in the midst
// of it, or this object after an error, neither loses nor repeats it.
class TableSync final : public Sync {
 public:
  struct Tables {
    std::unique_ptr<Table> side0, side1, base;
  };
  // Bytes of a value of the base table.
  [[nodiscard]] static uint32_t base_value_size(const SyncSpec& spec);
  // Goes on with what the base holds. The spec must have passed its check.
  [[nodiscard]] static Result<std::unique_ptr<TableSync>> open(SyncSpec spec, Tables tables);

  Result<PassReport> pass(SyncPhase phase, bool complete) override;
  // Reading costs as much as a pass: there is no list of keys that change all the time.
  Result<PassReport> pass_hot(SyncPhase /*phase*/) override { return PassReport{.began = monotonic_now(), .ended = monotonic_now()}; }
  Result<VerifyReport> verify() override;
  Result<VerifyReport> verify_again() override;

 private:
  enum class Absent : uint8_t { kNone, kSide0, kSide1 };
  struct Entry {  // of a key that both sides had
    FieldMerge::Values base;
    Absent missing = Absent::kNone;  // in the pass before
  };
  using Rows = std::map<Bytes, Bytes, BytesLess>;
  struct Seen {
    Rows side0, side1;
  };

  TableSync(SyncSpec spec, Tables tables) : spec_(std::move(spec)), tables_(std::move(tables)), merge_(spec_) {}
  [[nodiscard]] Status recover();
  [[nodiscard]] Status recover_one(const Bytes& key, const Bytes& row);
  [[nodiscard]] Result<Rows> read_all(Table& table) const;
  [[nodiscard]] Status sync_key(const Bytes& key, const Bytes* v0, const Bytes* v1);
  [[nodiscard]] bool absence_waits(const Bytes& key, const Bytes& value, bool on1) const;
  [[nodiscard]] Status sync_both(const Bytes& key, const FieldMerge::Values& now);
  [[nodiscard]] Status create(const Bytes& key, const Bytes& value, bool on1);
  [[nodiscard]] Status one_side(const Bytes& key, const Bytes& value, bool on1);
  [[nodiscard]] Status confirm(Seen& seen) const;
  [[nodiscard]] std::set<Bytes, BytesLess> differing(const Seen& seen) const;
  [[nodiscard]] bool interesting(const Seen& seen) const;
  struct Row;
  [[nodiscard]] Status remember(const Bytes& key, const Row& row);
  [[nodiscard]] Status settle_row(const Bytes& key, FieldMerge::Values base);
  [[nodiscard]] Status forget(const Bytes& key);
  [[nodiscard]] Status drop(const Bytes& key, bool on1);
  [[nodiscard]] bool active1() const { return phase_ == SyncPhase::kLiveNew; }
  [[nodiscard]] Table& side(bool one) const { return one ? *tables_.side1 : *tables_.side0; }

  const SyncSpec spec_;
  Tables tables_;
  const FieldMerge merge_;
  std::map<Bytes, Entry, BytesLess> base_;  // what the base table holds, so that an unchanged key costs no call
  SyncPhase phase_ = SyncPhase::kPrecopy;
  PassReport report_;
  std::set<Bytes, BytesLess> suspects_;  // keys that seemed to differ at the last look
  bool stale_ = false;  // a call failed: the base table knows more than we do
};

// FieldMerge takes the fields, defaults and remaps of a spec as they are: this looks whether all of them are inside.
[[nodiscard]] Status check_merge_table(const SyncSpec& spec);
[[nodiscard]] Status check_table_spec(const SyncSpec& spec);

// Maps that only user space can walk, by their pins; the base is a hash map pinned as sync_dir/base.
[[nodiscard]] Result<std::unique_ptr<Sync>> open_table_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                            const std::string& sync_dir);

}  // namespace mapshift
