// SPDX-License-Identifier: Apache-2.0
#include "http/body.h"

#include <set>
#include <vector>

#include "base/clock.h"
#include "http/json_body.h"

namespace mapshift::http {
namespace {

constexpr size_t kMaxReason = 1024;

// Reads the members of one body, and collects what is wrong with them.
class Reader {
 public:
  explicit Reader(const Json& body) : body_(body) {}

  void complain(std::string code, std::string where, std::string message) {
    problems_.push_back({std::move(code), std::move(where), std::move(message)});
  }
  void allow_only(const std::set<std::string>& known) {
    for (const auto& item : body_.items())
      if (!known.contains(item.key())) complain("unknown-member", item.key(), "There is no such member here.");
  }
  [[nodiscard]] const Json* find(const std::string& name) const {
    const auto at = body_.find(name);
    return at == body_.end() ? nullptr : &*at;
  }
  // Absent: nullptr. Of another type: a problem, and nullptr.
  [[nodiscard]] const std::string* string(const std::string& name) {
    const Json* member = find(name);
    if (member == nullptr) return nullptr;
    if (member->is_string()) return member->get_ptr<const std::string*>();
    complain("wrong-type", name, "It must be a string.");
    return nullptr;
  }
  [[nodiscard]] Status result() && {
    if (problems_.empty()) return {};
    std::string message = "The body has " + std::to_string(problems_.size()) + (problems_.size() == 1 ? " error: " : " errors; the first: ") +
                          problems_.front().where + ": " + problems_.front().message;
    return fail(Error{ErrorCode::kInvalid, 0, std::move(message), {}, std::move(problems_)});
  }

 private:
  const Json& body_;
  std::vector<Problem> problems_;
};

bool is_absolute(const std::string& path) { return path.starts_with('/') && path.find('\0') == std::string::npos; }

void read_manifest(Reader& reader, ManifestRequest& request) {
  const Json* manifest = reader.find("manifest");
  const std::string* folder = reader.string("dir");
  if (folder != nullptr && !is_absolute(*folder)) reader.complain("not-absolute", "dir", "It must be an absolute path.");
  if (folder != nullptr) request.folder = *folder;
  if (manifest == nullptr) {
    reader.complain("missing-member", "manifest", "It must be the path of a manifest, or the manifest itself.");
  } else if (manifest->is_string()) {
    request.path = manifest->get<std::string>();
    const bool name = !request.path.empty() && request.path.find_first_of("/.") == std::string::npos;
    if (!is_absolute(request.path) && !name)
      reader.complain("not-absolute", "manifest", "The path of the manifest must be absolute; a name, without \"/\" and \".\", is looked for in module_dirs.");
    if (folder != nullptr) reader.complain("needless-member", "dir", "It goes with a manifest in the body, not with a path.");
  } else if (manifest->is_object()) {
    request.text = manifest->dump();
    if (folder == nullptr) reader.complain("missing-member", "dir", "A manifest in the body needs the folder that its paths are relative to.");
  } else {
    reader.complain("wrong-type", "manifest", "It must be a string or an object.");
  }
}

void read_settings(Reader& reader, ManifestRequest& request) {
  const Json* set = reader.find("set");
  if (set == nullptr) return;
  if (!set->is_object()) return reader.complain("wrong-type", "set", "It must be an object of strings.");
  for (const auto& [name, value] : set->items()) {
    if (value.is_string())
      request.set.emplace(name, value.get<std::string>());
    else
      reader.complain("wrong-type", "set." + name, "It must be a string.");
  }
}

void read_options(Reader& reader, ManifestRequest& request) {
  if (const std::string* text = reader.string("bake")) {
    const auto bake = parse_duration(*text);
    if (bake)
      request.bake = *bake;
    else
      reader.complain("invalid-duration", "bake", bake.error().message);
  }
  const auto read_flag = [&](const char* name, bool& out) {
    const Json* flag = reader.find(name);
    if (flag == nullptr) return;
    if (flag->is_boolean())
      out = flag->get<bool>();
    else
      reader.complain("wrong-type", name, "It must be true or false.");
  };
  read_flag("allow_lossy", request.allow_lossy);
  read_flag("force_quarantined", request.force_quarantined);
}

}  // namespace

Result<ManifestRequest> parse_manifest_request(const std::string& body, Members members) {
  MS_TRY(const Json document, parse_object(body));
  Reader reader(document);
  ManifestRequest request;
  std::set<std::string> known = {"manifest", "dir", "set"};
  if (members == Members::kUpdate) known.insert({"bake", "allow_lossy", "force_quarantined"});
  reader.allow_only(known);
  read_manifest(reader, request);
  read_settings(reader, request);
  if (members == Members::kUpdate) read_options(reader, request);
  MS_CHECK(std::move(reader).result());
  return request;
}

Result<std::string> parse_reason(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return std::string();
  MS_TRY(const Json document, parse_object(body));
  Reader reader(document);
  reader.allow_only({"reason"});
  const std::string* reason = reader.string("reason");
  if (reason != nullptr && reason->size() > kMaxReason)
    reader.complain("too-long", "reason", "It may have " + std::to_string(kMaxReason) + " bytes at most.");
  std::string text = reason == nullptr ? std::string() : *reason;
  MS_CHECK(std::move(reader).result());
  return text;
}

}  // namespace mapshift::http
