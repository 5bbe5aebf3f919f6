// SPDX-License-Identifier: Apache-2.0
#include "http/app.h"

namespace mapshift::http {

Response App::index() {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>mapshift</title></head>\n<body><h1>mapshift</h1><ul>\n";
  for (const Route& route : kRoutes) {
    if (route.listener != Listener::kMetrics || route.action == Action::kIndex) continue;
    const std::string path(route.pattern);
    page += "<li><a href=\"" + path + "\">" + path + "</a> " + std::string(route.help) + "</li>\n";
  }
  return {200, "text/html; charset=utf-8", page + "</ul></body></html>\n", {}};
}

Response App::metrics_page() { return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.serialise(), {}}; }

Response App::ready() {
  if (service_.ready()) return {200, "text/plain; charset=utf-8", "ready\n", {}};
  return {503, "text/plain; charset=utf-8", "not ready: recovery is under way\n", {{"Retry-After", "1"}}};
}

}  // namespace mapshift::http
