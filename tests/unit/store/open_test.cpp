// SPDX-License-Identifier: Apache-2.0
// A state folder that cannot be used is refused with a message that helps, and is left as it was.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <thread>

#include "store_fixture.h"

namespace mapshift::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Open : public StoreTest {
 protected:
  void sql(const std::string& statement) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(db().c_str(), &raw), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(raw, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(raw);
    sqlite3_close(raw);
  }
  void expect_refused_and_kept(const std::string& what) {
    store_.reset();
    const std::string before = read_file(db());
    const Error error = open_error();
    EXPECT_EQ(error.code, ErrorCode::kInvalid) << error.message;
    EXPECT_THAT(error.message, AllOf(HasSubstr(db()), HasSubstr(what), HasSubstr("away"), HasSubstr("are then lost")));
    EXPECT_EQ(read_file(db()), before);
  }
};

TEST_F(Open, CreatesAPrivateFolder) {
  dir_ = root_ + "/a/b/state/";
  open();
  struct stat info {};
  ASSERT_EQ(::stat(dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  EXPECT_TRUE(std::filesystem::exists(dir_ + "mapshift.db"));
  EXPECT_FALSE(std::filesystem::exists(dir_ + "mapshift.db.new"));
}

TEST_F(Open, AFileInTheWayIsNamed) {
  write_file(dir_, "a file");
  EXPECT_THAT(open_error().message, AllOf(HasSubstr(dir_), HasSubstr("set another state_dir")));
  dir_ += "/below";
  EXPECT_THAT(open_error().message, HasSubstr("set another state_dir"));
}

TEST_F(Open, AFolderThatCannotBeWrittenIsNamed) {
  ASSERT_EQ(::mkdir(dir_.c_str(), 0500), 0);
  // Root may write everywhere, so a child without that right tries.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && (::chown(dir_.c_str(), 65534, 65534) != 0 || ::chmod(root_.c_str(),
                                                                                 0711) != 0 || ::setuid(65534) != 0)) ::_exit(2);
    const auto opened = Store::open(dir_);
    const bool named = !opened && opened.error().message.find("cannot write to it") != std::string::npos;
    ::_exit(named && opened.error().sys_errno == EACCES ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ::chmod(dir_.c_str(), 0700);
}

TEST_F(Open, ASecondAgentIsRefused) {
  open();
  const auto second = Store::open(dir_, {.lock_patience = std::chrono::milliseconds(50)});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_THAT(second.error().message, HasSubstr("another agent uses it"));
}

TEST_F(Open, AnAgentThatIsJustEndingIsWaitedFor) {
  open();
  std::thread ending([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    store_.reset();
  });
  EXPECT_TRUE(Store::open(dir_));
  ending.join();
}

TEST_F(Open, ALeftoverOfACrashWhileCreatingIsReplaced) {
  ASSERT_EQ(::mkdir(dir_.c_str(), 0700), 0);
  write_file(db() + ".new", "half a database");
  write_file(db() + ".new-wal", "half a log");
  open();
  EXPECT_TRUE(store_->modules()->empty());
}

TEST_F(Open, AnEmptyFileIsDamage) {
  open();
  store_.reset();
  std::filesystem::resize_file(db(), 0);
  expect_refused_and_kept("empty");
}

TEST_F(Open, GarbageIsDamage) {
  ASSERT_EQ(::mkdir(dir_.c_str(), 0700), 0);
  write_file(db(), std::string(10'000, '\x5a'));
  expect_refused_and_kept("damaged");
}

TEST_F(Open, ATruncatedDatabaseIsDamage) {
  open();
  for (int i = 0; i < 50; i++) ASSERT_TRUE(store_->record_intent("u", "step", std::string(500, 'x')));
  store_.reset();
  const auto size = std::filesystem::file_size(db());
  for (const auto left : {size - 4096, size / 2, uintmax_t(4096), uintmax_t(100)}) {
    std::filesystem::resize_file(db(), left);
    expect_refused_and_kept("damaged");
  }
}

TEST_F(Open, ADamagedPageIsFound) {
  open();
  for (int i = 0; i < 50; i++) ASSERT_TRUE(store_->record_intent("u", "step", std::string(500, 'x')));
  store_.reset();
  std::string content = read_file(db());
  std::fill(content.begin() + 2 * 4096, content.end(), '\xa5');
  write_file(db(), content);
  expect_refused_and_kept("damaged");
}

TEST_F(Open, AnotherProgramsDatabaseIsLeftAlone) {
  ASSERT_EQ(::mkdir(dir_.c_str(), 0700), 0);
  sql("CREATE TABLE bookmarks(url TEXT)");
  expect_refused_and_kept("another program");
}

TEST_F(Open, ANewerSchemaIsLeftAlone) {
  open();
  store_.reset();
  sql("PRAGMA user_version=99");
  expect_refused_and_kept("newer mapshift");
}

TEST_F(Open, ALogWithoutItsDatabaseIsNotReplayedIntoANewOne) {
  open();
  store_.reset();
  std::filesystem::rename(db(), root_ + "/moved");
  write_file(db() + "-wal", "log");
  EXPECT_THAT(open_error().message, AllOf(HasSubstr("is missing but"), HasSubstr("put")));
  EXPECT_FALSE(std::filesystem::exists(db()));
}

TEST_F(Open, ARecordThatCannotBeReadNamesTheUpdate) {
  open();
  const std::string id = create("m");
  store_.reset();
  for (const char* broken : {"'{'", "'[]'", "'{\"state\": \"dancing\"}'", "'{\"revision\": \"many\"}'"}) {
    sql("UPDATE updates SET record = " + std::string(broken));
    open();
    const auto stored = store_->update(id);
    ASSERT_FALSE(stored) << broken;
    EXPECT_THAT(stored.error().message, HasSubstr("record of update " + id));
    store_.reset();
  }
}

}  // namespace
}  // namespace mapshift::store
