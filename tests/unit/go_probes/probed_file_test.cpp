// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "observe/go/live_probes.h"

namespace mapshift::observe::go {
namespace {

namespace fs = std::filesystem;

class ProbedFiles : public ::testing::Test {
 protected:
  void SetUp() override { write("text"); }
  void TearDown() override { fs::remove(path_); }
  // In place: the inode stays.
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  [[nodiscard]] Result<std::shared_ptr<ProbedFile>> opened() const {
    struct stat status {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    Traced process;
    process.executable = path_;
    process.device = status.st_dev;
    process.inode = status.st_ino;
    process.binary = std::make_shared<const Binary>();
    return open_probed(process, {});
  }

  const std::string path_ = fs::temp_directory_path() / ("probed-file-" + std::to_string(::getpid()));
};

TEST_F(ProbedFiles, AreTheSameAsLongAsNobodyWroteToThem) {
  const auto one = opened(), other = opened();
  ASSERT_TRUE(one && other);
  EXPECT_TRUE((*one)->same_as(**other));
}

TEST_F(ProbedFiles, OfAnotherTimeAreOthers) {
  const auto before = opened();
  write("TEXT");
  fs::last_write_time(path_, fs::last_write_time(path_) + std::chrono::nanoseconds(1));
  const auto after = opened();
  ASSERT_TRUE(before && after);
  EXPECT_EQ((*before)->inode, (*after)->inode);
  EXPECT_FALSE((*before)->same_as(**after));
}

// Times can be set back, and on some file systems are coarse.
TEST_F(ProbedFiles, OfAnotherSizeAreOthers) {
  const auto before = opened();
  const auto time = fs::last_write_time(path_);
  write("longer text");
  fs::last_write_time(path_, time);
  const auto after = opened();
  ASSERT_TRUE(before && after);
  EXPECT_EQ((*before)->modified, (*after)->modified);
  EXPECT_FALSE((*before)->same_as(**after));
}

}  // namespace
}  // namespace mapshift::observe::go
