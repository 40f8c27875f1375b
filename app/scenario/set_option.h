#pragma once
// --set KEY=VALUE: single values of a scenario, replaced from the command line.
#include <map>
#include <string>
#include <vector>

#include "app/scenario/document.h"

namespace hvsim::app {

class SetOptions {
  public:
    /// Puts each option's value into `root`. Throws sim::ConfigError for one that is not KEY=VALUE
    /// or whose KEY leads through something that is no table or array element.
    SetOptions(const std::vector<std::string>& options, toml::table& root);

    /// The option ("--set host.processors=4") that gave the key or a table it is in; else null.
    const std::string* option_of(const std::string& path) const;

  private:
    std::map<std::string, std::string> options_;  // by path
};

}  // namespace hvsim::app
