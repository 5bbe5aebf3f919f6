// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/field_merge.h"
#include "kernel/map.h"

namespace mapshift {

// Not operator<: g++ 12 warns of its own header there.
struct BytesLess {
  bool operator()(const Bytes& a, const Bytes& b) const { return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end()); }
};

// A map as user space sees it, one element a call. What a test keeps in memory serves as well.
class Table {
 public:
  virtual ~Table() = default;
  // By BytesLess. A key that is there throughout is among them, once. Bounded, whatever others do to the map meanwhile.
  [[nodiscard]] virtual Result<std::vector<Bytes>> keys() = 0;
  [[nodiscard]] virtual Result<std::optional<Bytes>> read(const Bytes& key) = 0;
  enum class Put : uint8_t { kDone, kFull, kThere /* insert: somebody was faster */, kGone /* replace */ };
  [[nodiscard]] virtual Result<Put> insert(const Bytes& key, const Bytes& value) = 0;
  [[nodiscard]] virtual Result<Put> replace(const Bytes& key, const Bytes& value) = 0;
  [[nodiscard]] virtual Status erase(const Bytes& key) = 0;  // gone already: not an error
};

// Hash maps and LPM tries. In a trie, the bits of a key behind its prefix are cleared, and read() answers with the longest prefix that
// matches: who must know that the key itself is there asks for keys() again afterwards.
[[nodiscard]] std::unique_ptr<Table> make_map_table(Map map);

// The prefix of an LPM trie's key, without the bits behind it.
void clear_behind_prefix(Bytes& key);

}  // namespace mapshift
