// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "kernel/digest.h"
#include "kernel/object.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr size_t kContextLines = 15;

// libbpf is not made for hostile files: nothing but the planned bytes reaches it.
Result<std::vector<std::byte>> read_verified(const LoadRequest& request) {
  MS_TRY(auto bytes, read_file_bytes(request.object_path));
  const std::string digest = sha256_hex(bytes);
  if (digest == request.object_digest) return bytes;
  return fail(ErrorCode::kRefused, "the object file " + request.object_path +
      " changed since it was planned (its SHA-256 is " + digest +
                                       ", planned was " + request.object_digest + "); plan again");
}

std::string last_lines(const std::string& text) {
  size_t begin = text.size();
  while (begin > 0 && text[begin - 1] == '\n') --begin;
  const size_t end = begin;
  for (size_t lines = 0; begin > 0; --begin) {
    if (text[begin - 1] == '\n' && ++lines == kContextLines) break;
  }
  return text.substr(begin, end - begin);
}

// ".../flowmeter/gen/2" is "flowmeter-2".
std::string generation_label(const std::string& generation_dir) {
  const std::filesystem::path dir(generation_dir);
  return dir.parent_path().parent_path().filename().string() + "-" + dir.filename().string();
}

// Adds the log's end to the error, and says where all of it is.
Error explain(Error error, const Object& object, const LoadRequest& request) {
  const std::string log = object.verifier_log();
  if (log.empty()) return error;
  error.context = last_lines(log);
  if (request.log_dir.empty()) return error;
  const std::string path = request.log_dir + "/" + generation_label(request.generation_dir) + "-" + object.failed_program() +
      ".log";
  std::error_code ignored;
  std::filesystem::create_directories(request.log_dir, ignored);
  std::ofstream file(path, std::ios::trunc);
  file << log;
  file.close();
  error.message += file ? "; the verifier's whole log is in " + path : "; its log could not be written to " + path;
  return error;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// An object loads as a whole or not at all: each optional program that fails costs one more try without it.
Result<Object> load_object(const LoadRequest& request, const std::vector<std::byte>& bytes, std::vector<std::string>& skipped) {
  while (true) {
    MS_TRY(Object object, Object::open(request.object_path, bytes));
    MS_CHECK(object.configure(request, skipped));
    const auto loaded = object.load();
    if (loaded) return object;
    const std::string& failed = object.failed_program();
    if (!contains(request.optional_programs, failed) || contains(skipped, failed)) {
      return fail(explain(loaded.error(), object, request));
    }
    skipped.push_back(failed);
  }
}

Status check_unused(const std::string& generation_dir) {
  for (const char* folder : {"/maps", "/progs"}) {
    MS_TRY(const auto pins, list_pins(generation_dir + folder));
    if (!pins.empty()) {
      return fail(ErrorCode::kConflict, generation_dir + folder + " holds pins already; remove that generation first");
    }
  }
  return {};
}

}  // namespace

Result<LoadReport> load_generation(const LoadRequest& request) {
  MS_CHECK(check_unused(request.generation_dir));
  MS_TRY(const auto bytes, read_verified(request));
  LoadReport report;
  MS_TRY(const Object object, load_object(request, bytes, report.skipped_programs));
  MS_CHECK(object.fill_prog_arrays(request));
  PinGuard pins;
  MS_CHECK(pins.dir(request.generation_dir + "/maps"));
  MS_CHECK(pins.dir(request.generation_dir + "/progs"));
  for (const auto& map : object.maps()) MS_CHECK(pins.pin(map.fd, request.generation_dir + "/maps/" + map.name));
  for (const auto& [outer, form] : object.templates()) MS_CHECK(pins.pin(form.fd(), template_pin(request.generation_dir + "/maps/" + outer)));
  for (const auto& program : object.programs()) {
    MS_CHECK(pins.pin(program.fd, request.generation_dir + "/progs/" + program.name));
    report.programs.push_back(program.name);
  }
  pins.keep();
  return report;
}

}  // namespace mapshift
