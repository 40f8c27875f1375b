#pragma once
// The page's own files and the charting library, as they were when the program was built
// (assets.S).
#include <string_view>

namespace hvsim::analysis::assets {

extern "C" {
extern const char hvsim_page_html[], hvsim_page_html_end[];
extern const char hvsim_page_style[], hvsim_page_style_end[];
extern const char hvsim_page_charts[], hvsim_page_charts_end[];
extern const char hvsim_page_script[], hvsim_page_script_end[];
}

inline std::string_view text(const char* begin, const char* end) {
    return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace hvsim::analysis::assets
