// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lab.h"

namespace mapshift::test {
namespace {

TEST(Speed, Walk) {
  PrivateBpffs bpffs;
  ASSERT_EQ(bpffs.problem(), "");
  const uint32_t n = 1000000;
  Lab lab(bpffs, example_spec(MapType::kHash, n, n));
  for (uint32_t i = 0; i < n; ++i) lab.put0(i * 2654435761u, OldValue{i, i, i & 3, i});
  for (int r = 0; r < 4; ++r) {
    auto p = lab.pass(SyncPhase::kPrecopy, r == 3);
    printf("pass %d: keys %lu added %lu changed %lu %.1f ns/key\n", r, p.keys, p.added, p.changed, double((p.ended - p.began).count()) / n);
  }
  for (uint32_t i = 0; i < n; ++i) lab.put0(i * 2654435761u, OldValue{i+1, i+1, i & 1, i+1});
  auto p = lab.pass(SyncPhase::kPrecopy, false);
  printf("all changed: changed %lu %.1f ns/key\n", p.changed, double((p.ended - p.began).count()) / n);
  for (int r = 0; r < 2; ++r) {
  p = lab.pass(SyncPhase::kLiveNew, false);
  printf("live: changed %lu %.1f ns/key\n", p.changed, double((p.ended - p.began).count()) / n);}
  for (int r = 0; r < 10000; ++r) lab.put0(r * 2654435761u, OldValue{1,2,3,4});
  p = lab.pass(SyncPhase::kPrecopy, false); printf("hot %lu\n", p.hot);
  for (int r = 0; r < 10000; ++r) lab.put0(r * 2654435761u, OldValue{5,2,3,4});
  auto h = lab.sync().pass_hot(SyncPhase::kPrecopy);
  printf("hot: %lu changed %lu %.2f ms\n", h->hot, h->changed, double((h->ended - h->began).count()) / 1e6);
  auto v = lab.sync().verify(); printf("verify %lu mism %lu\n", v->keys, v->mismatched);
}

}  // namespace
}  // namespace mapshift::test
