// SPDX-License-Identifier: Apache-2.0
#include "kernel/table.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace mapshift {

void clear_behind_prefix(Bytes& key) {
  uint32_t bits = 0;
  if (key.size() <= sizeof bits) return;
  std::memcpy(&bits, key.data(), sizeof bits);
  for (size_t at = sizeof bits; at < key.size(); ++at) {
    const size_t before = (at - sizeof bits) * 8;
    if (bits >= before + 8) continue;
    const auto kept = bits <= before ? 0u : 0xffu << (8 - (bits - before));
    key[at] &= static_cast<std::byte>(kept);
  }
}

namespace {

class MapTable final : public Table {
 public:
  explicit MapTable(Map map) : map_(std::move(map)) {}

  Result<std::vector<Bytes>> keys() override {
    std::set<Bytes, BytesLess> found;
    Bytes cursor, next(map_.shape().key_size);
    // GET_NEXT_KEY starts over when its cursor was deleted meanwhile: without the bound, churn could make this endless.
    const uint64_t bound = 4 * (uint64_t{map_.shape().max_entries} + 16);
    for (uint64_t step = 0; step < bound; ++step) {
      if (bpf_map_get_next_key(map_.fd(), cursor.empty() ? nullptr : cursor.data(), next.data()) != 0) {
        if (errno != ENOENT) return fail_errno(errno, "walk the keys of " + map_.name());
        return std::vector<Bytes>(found.begin(), found.end());
      }
      cursor = next;
      found.insert(normal(next));
    }
    return fail(ErrorCode::kUnavailable, "the keys of " + map_.name() + " come and go faster than they can be walked: try again at a quieter time");
  }

  Result<std::optional<Bytes>> read(const Bytes& key) override {
    auto value = map_.read(key);
    if (value) return std::optional<Bytes>(*std::move(value));
    if (value.error().code == ErrorCode::kNotFound) return std::optional<Bytes>();
    return fail(std::move(value).error());
  }

  Result<Put> insert(const Bytes& key, const Bytes& value) override { return put(key, value, BPF_NOEXIST); }
  Result<Put> replace(const Bytes& key, const Bytes& value) override { return put(key, value, BPF_EXIST); }

  Status erase(const Bytes& key) override {
    if (bpf_map_delete_elem(map_.fd(), key.data()) == 0 || errno == ENOENT) return {};
    return fail_errno(errno, "delete a key of " + map_.name());
  }

 private:
  [[nodiscard]] Bytes normal(Bytes key) const {
    if (map_.shape().type == MapType::kLpmTrie) clear_behind_prefix(key);
    return key;
  }

  Result<Put> put(const Bytes& key, const Bytes& value, uint64_t flags) {
    if (bpf_map_update_elem(map_.fd(), key.data(), value.data(), flags) == 0) return Put::kDone;
    if (errno == EEXIST) return Put::kThere;
    if (errno == ENOENT) return Put::kGone;
    if (errno == E2BIG || errno == ENOSPC) return Put::kFull;  // a trie says ENOSPC
    return fail_errno(errno, "write to " + map_.name());
  }

  Map map_;
};

}  // namespace

std::unique_ptr<Table> make_map_table(Map map) { return std::make_unique<MapTable>(std::move(map)); }

}  // namespace mapshift
