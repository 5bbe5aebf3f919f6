// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "lab.h"

namespace mapshift::test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct Value {
  uint64_t count, last;
};

uint32_t crc_of(uint32_t key) { return static_cast<uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(&key), sizeof key)); }

std::vector<Op> ops(const Got& got) {
  std::vector<Op> out;
  for (const auto& one : got.changes) out.push_back(one.op);
  return out;
}

class SourcesTest : public ChangesTest {
 protected:
  void SetUp() override {
    ChangesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    start();
    load_writers();
  }
  void put(uint32_t key, uint64_t count, uint64_t flags = BPF_ANY) const {
    const Value value{count, 0};
    ASSERT_EQ(bpf_map_update_elem(writers_->logged(), &key, &value, flags), 0);
  }
};

TEST_F(SourcesTest, AnInstrumentedModuleTellsWhatItsProgramsDo) {
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {Source::kInstrumented}))));
  const auto subscription = subscribe("logged");
  const uint64_t version = *stream_->version({"m", "logged"});
  writers_->update(7, 1);
  writers_->update(7, 1);
  writers_->remove(7, 1);
  writers_->remove(7, 1);  // fails, and is no change
  const Got got = read(*subscription, 3);
  EXPECT_THAT(ops(got), ElementsAre(Op::kInsert, Op::kUpdate, Op::kDelete));
  EXPECT_THAT(got.numbers(), ElementsAre(version + 1, version + 2, version + 3));
  EXPECT_THAT(got.resyncs, SizeIs(0));
  for (const auto& one : got.changes) {
    EXPECT_EQ(one.key_hash, crc_of(7));
    EXPECT_EQ(one.map_id, map_id(writers_->logged()));
    EXPECT_EQ(one.pid, static_cast<uint32_t>(::getpid()));
    EXPECT_EQ(one.source, Source::kInstrumented);
    EXPECT_THAT(one.key, SizeIs(0));
    EXPECT_THAT(one.value, SizeIs(0));
  }
  EXPECT_EQ(writers_->failed(), 1u);
}

TEST_F(SourcesTest, WritesInPlaceAreToldWhereTheyAreMarked) {
  ASSERT_TRUE(ok(stream_->watch(watch_of("numbers", {Source::kInstrumented}))));
  const auto subscription = subscribe("numbers");
  writers_->touch(0, 5);
  writers_->poke(0, 5);
  const Got got = read(*subscription, 5);
  EXPECT_THAT(ops(got), SizeIs(5));
  EXPECT_THAT(ops(got), Each(Op::kUpdate));
}

TEST_F(SourcesTest, WithoutTheAgentAModuleRunsAndLogsNothing) {
  const Writers alone;
  alone.update(0, 100);
  alone.remove(0, 50);
  alone.touch(0, 50);
  EXPECT_EQ(alone.failed(), 0u);
  uint32_t key = 99;
  Value value{};
  EXPECT_EQ(bpf_map_lookup_elem(alone.logged(), &key, &value), 0);
  EXPECT_EQ(bpf_map__max_entries(alone.object().maps.ms_change_slots), 1u);
}

TEST_F(SourcesTest, BytesOfKeysAndValuesComeOnlyWhereTheyAreAllowed) {
  Watch watch = watch_of("logged", {Source::kInstrumented});
  watch.keys = true;
  ASSERT_TRUE(ok(stream_->watch(watch)));
  auto subscription = subscribe("logged");
  writers_->update(0x01020304, 1);
  Got got = read(*subscription, 1);
  ASSERT_THAT(got.changes, SizeIs(1));
  EXPECT_THAT(got.changes[0].key, ElementsAre(std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}));
  EXPECT_THAT(got.changes[0].value, SizeIs(0));
  watch.values = true;
  ASSERT_TRUE(ok(stream_->watch(watch)));
  got = read(*subscription, 0);  // goes over to the stream with values
  writers_->update(5, 1);
  got = read(*subscription, 1);
  ASSERT_THAT(got.changes, SizeIs(1));
  EXPECT_THAT(got.changes[0].value, SizeIs(sizeof(Value)));
  watch.keys = watch.values = false;
  ASSERT_TRUE(ok(stream_->watch(watch)));
  read(*subscription, 0);
  writers_->update(6, 3);
  got = read(*subscription, 3);
  ASSERT_THAT(got.changes, SizeIs(3));
  for (const auto& one : got.changes) {
    EXPECT_THAT(one.key, SizeIs(0));
    EXPECT_THAT(one.value, SizeIs(0));
  }
}

TEST_F(SourcesTest, SystemCallsAreSeenSingleAndInBatches) {
  Watch watch = watch_of("logged", {Source::kSyscall});
  watch.keys = watch.values = true;
  const auto choice = stream_->watch(watch);
  ASSERT_TRUE(ok(choice));
  const auto subscription = subscribe("logged");
  put(1, 10, BPF_NOEXIST);
  put(1, 11);
  uint32_t key = 1;
  const Value other{};
  EXPECT_NE(bpf_map_update_elem(writers_->logged(), &key, &other, BPF_NOEXIST), 0);  // refused: no change
  EXPECT_EQ(bpf_map_delete_elem(writers_->logged(), &key), 0);
  Got got = read(*subscription, 3);
  EXPECT_THAT(ops(got), ElementsAre(Op::kInsert, Op::kUpdate, Op::kDelete));
  EXPECT_EQ(got.changes[0].key_hash, crc_of(1));
  ASSERT_THAT(got.changes[1].value, SizeIs(sizeof(Value)));
  EXPECT_EQ(got.changes[1].value[0], std::byte{11});
  std::vector<uint32_t> keys(1000);
  std::iota(keys.begin(), keys.end(), 100);
  const std::vector<Value> values(1000);
  uint32_t count = 1000;
  ASSERT_EQ(bpf_map_update_batch(writers_->logged(), keys.data(), values.data(), &count, nullptr), 0);
  got = read(*subscription, 1000);
  ASSERT_THAT(got.changes, SizeIs(1000));
  EXPECT_EQ(got.changes[999].key_hash, crc_of(1099));
  keys[10] = 1u << 30;  // is not there: the batch ends
  count = 1000;
  EXPECT_NE(bpf_map_delete_batch(writers_->logged(), keys.data(), &count, nullptr), 0);
  got = read(*subscription, 10);
  EXPECT_THAT(got.changes, SizeIs(10));
  EXPECT_THAT(ops(got), Each(Op::kDelete));
  // The value cannot be copied out, and the element is gone.
  put(7, 7);
  key = 7;
  ASSERT_THAT(read(*subscription, 1).changes, SizeIs(1));
  EXPECT_NE(bpf_map_lookup_and_delete_elem(writers_->logged(), &key, nullptr), 0);
  EXPECT_THAT(read(*subscription, 1).resyncs, SizeIs(1));
  // Half of a batch lies in memory that cannot be read.
  count = 1000;
  EXPECT_NE(bpf_map_update_batch(writers_->logged(), nullptr, values.data(), &count, nullptr), 0);
  EXPECT_THAT(read(*subscription, 1).resyncs, SizeIs(1));
  EXPECT_EQ(report("logged").lost_by.at("unreadable"), 2u);
  writers_->plain(5, 1);  // a program's write is no system call
  EXPECT_THAT(read(*subscription, 0).changes, SizeIs(0));
}

TEST_F(SourcesTest, AScanFindsEverythingAndOnlyTheLastOfSeveral) {
  writers_->plain(0, 100);
  ASSERT_TRUE(ok(stream_->watch(watch_of("logged", {Source::kScan}))));
  const auto subscription = subscribe("logged");
  const MapName name{"m", "logged"};
  ASSERT_TRUE(ok(stream_->scan(name)));
  EXPECT_THAT(read(*subscription, 0).changes, SizeIs(0)) << "the first image is no change";
  put(3, 1000);
  put(3, 1001);
  put(200, 1);
  uint32_t key = 50;
  ASSERT_EQ(bpf_map_delete_elem(writers_->logged(), &key), 0);
  ASSERT_TRUE(ok(stream_->scan(name)));
  const Got got = read(*subscription, 3);
  ASSERT_THAT(got.changes, SizeIs(3));
  const auto found = [&](uint32_t wanted) {
    return std::ranges::find(got.changes, crc_of(wanted), &Change::key_hash)->op;
  };
  EXPECT_EQ(found(3), Op::kUpdate);
  EXPECT_EQ(found(200), Op::kInsert);
  EXPECT_EQ(found(50), Op::kDelete);
  EXPECT_EQ(got.changes[0].source, Source::kScan);
  EXPECT_EQ(report("logged").scans, 2u);
  ASSERT_TRUE(ok(stream_->scan(name)));
  EXPECT_THAT(read(*subscription, 0).changes, SizeIs(0));
}

TEST_F(SourcesTest, AScanSeesWritesInPlace) {
  ASSERT_TRUE(ok(stream_->watch(watch_of("numbers", {Source::kScan}))));
  const auto subscription = subscribe("numbers");
  writers_->poke(10, 3);
  ASSERT_TRUE(ok(stream_->scan({"m", "numbers"})));
  const Got got = read(*subscription, 3);
  EXPECT_THAT(ops(got), SizeIs(3));
  EXPECT_THAT(ops(got), Each(Op::kUpdate));
}

// Values of every length modulo 8, and every type that the kernel walks.
TEST_F(SourcesTest, AnyShapeOfMapIsScanned) {
  const int cpus = libbpf_num_possible_cpus();
  for (const auto type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY}) {
    for (const uint32_t size : {1u, 7u, 13u, 24u, 70u}) {
      SCOPED_TRACE(std::to_string(type) + " values of " + std::to_string(size));
      const Fd fd(bpf_map_create(type, "shape", 4, size, 16, nullptr));
      ASSERT_TRUE(fd.valid());
      ASSERT_TRUE(ok(pin(fd.get(), pin_of("shape"))));
      ASSERT_TRUE(ok(stream_->watch(watch_of("shape", {Source::kScan}))));
      const auto subscription = subscribe("shape");
      const bool percpu = type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY;
      std::vector<char> value(percpu ? (size + 7) / 8 * 8 * static_cast<size_t>(cpus) : size);
      const uint32_t key = 3;
      for (const size_t changed : {size_t{size - 1}, value.size() - (percpu ? 8 - (size - 1) % 8 : 1)}) {
        value[changed] ^= 1;
        ASSERT_EQ(bpf_map_update_elem(fd.get(), &key, value.data(), BPF_ANY), 0);
        ASSERT_TRUE(ok(stream_->scan({"m", "shape"})));
        EXPECT_THAT(read(*subscription, 1).changes, SizeIs(1)) << "byte " << changed;
      }
      stream_->unwatch({"m", "shape"});
      ASSERT_TRUE(ok(unpin(pin_of("shape"))));
    }
  }
}

TEST_F(SourcesTest, TheBestSourcesAreChosenAndTheReasonIsSaid) {
  const auto choice = stream_->watch(watch_of("logged", {}));
  ASSERT_TRUE(ok(choice));
  if (choice->sources.front() == Source::kFexit) GTEST_SKIP() << "this kernel traces functions, so nothing else is needed";
  EXPECT_THAT(choice->sources, ElementsAre(Source::kInstrumented, Source::kSyscall));
  EXPECT_TRUE(choice->complete);
  EXPECT_THAT(choice->reason, HasSubstr("no fexit: "));
  Watch watch = watch_of("logged", {});
  watch.instrumented = false;
  const auto without = stream_->watch(watch);
  ASSERT_TRUE(ok(without));
  EXPECT_THAT(without->sources, ElementsAre(Source::kScan));
  watch.programs_write = false;
  const auto control = stream_->watch(watch);
  ASSERT_TRUE(ok(control));
  EXPECT_THAT(control->sources, ElementsAre(Source::kSyscall));
}

TEST_F(SourcesTest, FexitSeesProgramsAndSystemCalls) {
  const auto choice = stream_->watch(watch_of("logged", {Source::kFexit}));
  if (!choice) {  // a kernel that lets nobody trace functions: then the reason is said, and another source is chosen
    std::printf("%s\n", choice.error().message.c_str());
    EXPECT_EQ(choice.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(choice.error().message, HasSubstr("fexit: the kernel refuses programs at the end of kernel functions"));
    return;
  }
  const auto subscription = subscribe("logged");
  writers_->plain(1, 10);
  put(1, 10);
  uint32_t key = 1;
  ASSERT_EQ(bpf_map_delete_elem(writers_->logged(), &key), 0);
  EXPECT_NE(bpf_map_delete_elem(writers_->logged(), &key), 0);  // fails, and is no change
  const Got got = read(*subscription, 12);
  ASSERT_THAT(got.changes, SizeIs(12));
  EXPECT_EQ(got.changes.back().op, Op::kDelete);
  EXPECT_EQ(got.changes[0].key_hash, crc_of(1));
  EXPECT_EQ(got.changes[0].source, Source::kFexit);
}

// Each kind of map has functions of its own.
TEST_F(SourcesTest, FexitKnowsTheFunctionsOfEachKindOfMap) {
  for (const auto type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
                          BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_LPM_TRIE}) {
    SCOPED_TRACE(type);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = type == BPF_MAP_TYPE_LPM_TRIE ? uint32_t{BPF_F_NO_PREALLOC} : 0u);
    const Fd fd(bpf_map_create(type, "kind", 8, 8, 16, &options));
    const Fd array(bpf_map_create(type, "kind", 4, 8, 16, &options));
    const bool indexed = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
    const int map = indexed ? array.get() : fd.get();
    ASSERT_GE(map, 0);
    ASSERT_TRUE(ok(pin(map, pin_of("kind"))));
    Watch watch = watch_of("kind", {Source::kFexit});
    watch.keys = watch.values = true;
    const auto choice = stream_->watch(watch);
    if (!choice) {
      EXPECT_EQ(choice.error().code, ErrorCode::kUnsupported);
      return;
    }
    const auto subscription = subscribe("kind");
    const uint32_t key[2] = {indexed ? 5u : 32u, 7};
    const std::vector<uint64_t> values(static_cast<size_t>(libbpf_num_possible_cpus()), 9);
    ASSERT_EQ(bpf_map_update_elem(map, key, values.data(), BPF_ANY), 0);
    ASSERT_EQ(bpf_map_update_elem(map, key, values.data(), BPF_EXIST), 0);
    if (!indexed) {
      ASSERT_EQ(bpf_map_delete_elem(map, key), 0);
    }
    const Got got = read(*subscription, indexed ? 2 : 3);
    ASSERT_THAT(got.changes, SizeIs(indexed ? 2 : 3));
    EXPECT_EQ(got.changes[0].op, Op::kUpdate);
    EXPECT_EQ(got.changes[0].key[0], static_cast<std::byte>(key[0]));
    EXPECT_TRUE(indexed || got.changes[2].op == Op::kDelete);
    const bool percpu = is_percpu(static_cast<MapType>(type));
    EXPECT_THAT(got.changes[1].value, SizeIs(percpu ? 0 : 8));
    stream_->unwatch({"m", "kind"});
    ASSERT_TRUE(ok(unpin(pin_of("kind"))));
  }
}

TEST_F(SourcesTest, AMapThatNobodyCanWatchIsRefusedWithAllReasons) {
  const Fd fd(bpf_map_create(BPF_MAP_TYPE_QUEUE, "queue", 0, 8, 16, nullptr));
  ASSERT_TRUE(fd.valid());
  ASSERT_TRUE(ok(pin(fd.get(), pin_of("queue"))));
  const auto choice = stream_->watch(watch_of("queue", {}));
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(choice.error().message, HasSubstr("no keys"));
  EXPECT_EQ(stream_->version({"m", "queue"}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(stream_->watch(watch_of("absent", {})).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace mapshift::test
