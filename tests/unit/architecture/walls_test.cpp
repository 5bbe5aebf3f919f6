// SPDX-License-Identifier: Apache-2.0
// The rules must find what they are there to find.
#include "walls.h"

#include <gmock/gmock.h>

namespace mapshift::architecture {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Walls, ThirdPartyHeadersStayInTheirFolders) {
  for (const char* line : {"#include <bpf/libbpf.h>", "#include <prometheus/counter.h>", "#include <civetweb.h>",
                           "#include <sqlite3.h>",
                           "#include <nlohmann/json.hpp>", "  #  include <curl/curl.h>", "#include <CLI/CLI.hpp>"})
    EXPECT_THAT(include_violations("src/update/x.cpp", line), SizeIs(1)) << line;
  EXPECT_THAT(include_violations("src/kernel/x.cpp", "#include <bpf/libbpf.h>"), IsEmpty());
  EXPECT_THAT(include_violations("src/store/x.cpp", "#include <sqlite3.h>\n#include <nlohmann/json.hpp>"), IsEmpty());
  EXPECT_THAT(include_violations("src/update/x.cpp", "// #include <sqlite3.h>\n#include <vector>"), IsEmpty());
}

TEST(Walls, NoFolderIncludesOneThatIsNotBelow) {
  EXPECT_THAT(include_violations("src/slo/x.h", "#include <map>\n#include \"update/plan.h\""),
              ElementsAre("src/slo/x.h:2: src/slo must not include \"update/plan.h\": it is not below"));
  EXPECT_THAT(include_violations("src/store/x.h", "#include \"http/service.h\""), SizeIs(1));
  EXPECT_THAT(include_violations("src/base/x.h", "#include \"kernel/map.h\""), SizeIs(1));
  EXPECT_THAT(include_violations("src/unheard_of/x.h", "#include \"base/fd.h\""), SizeIs(1));
  EXPECT_THAT(include_violations("src/http/x.h",
                                 "#include \"metrics/names.h\"\n#include \"http/service.h\"\n#include \"base/fd.h\""), IsEmpty());
  EXPECT_THAT(include_violations("tests/unit/x.cpp", "#include \"agent/agent.h\""), IsEmpty());
}

TEST(Walls, PureCodeHasNoClockAndNoFiles) {
  EXPECT_THAT(purity_violations("src/slo/x.cpp", "auto t = monotonic_now();"), SizeIs(1));
  EXPECT_THAT(purity_violations("src/update/planner.cpp", "#include <fstream>"), SizeIs(1));
  EXPECT_THAT(purity_violations("src/update/executor.cpp", "auto t = monotonic_now();"), IsEmpty());
}

TEST(Walls, EveryFileSaysItsLicence) {
  EXPECT_THAT(licence_violations("src/a.h", "// SPDX-License-Identifier: Apache-2.0\n"), IsEmpty());
  EXPECT_THAT(licence_violations("tests/a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"), IsEmpty());
  EXPECT_THAT(licence_violations("bpf/a.bpf.c", "/* SPDX-License-Identifier: GPL-2.0-only */\n"), IsEmpty());
  EXPECT_THAT(licence_violations("bpf/a.bpf.c", "// SPDX-License-Identifier: Apache-2.0\n"), SizeIs(1));
  EXPECT_THAT(licence_violations("src/a.h", "#pragma once\n// SPDX-License-Identifier: Apache-2.0\n"), SizeIs(1));
  EXPECT_THAT(licence_violations("src/a.h", ""), SizeIs(1));
}

TEST(Walls, LongFilesAreNamed) {
  std::string text;
  for (int i = 0; i < 400; i++) text += "x\n";
  EXPECT_THAT(length_violations("src/a.cpp", text), IsEmpty());
  text += "x\n";
  EXPECT_THAT(length_violations("src/a.cpp", text), ElementsAre("src/a.cpp: 401 lines, more than 400"));
}

TEST(Walls, PathsAreFoundInADocument) {
  EXPECT_THAT(paths_named_in("Add `src/a/b.cpp`, then `run me`, `src/kernel/attach/<type>.cpp`, `tests/unit/*/x` and "
                             "`src/c.h:12`."),
              ElementsAre("src/a/b.cpp", "src/kernel/attach/", "tests/unit/", "src/c.h"));
}

}  // namespace
}  // namespace mapshift::architecture
