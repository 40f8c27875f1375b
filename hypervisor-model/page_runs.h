#pragma once
// A set of page numbers, kept as runs.
#include <cstdint>
#include <iterator>
#include <map>

namespace hvsim::hv {

class PageRuns {
  public:
    void insert(std::uint64_t first, std::uint64_t count) {
        erase(first, count);
        std::uint64_t end = first + count;
        if (const auto next = runs_.find(end); next != runs_.end()) {
            end += next->second;
            runs_.erase(next);
        }
        if (const auto before = runs_.lower_bound(first); before != runs_.begin()) {
            const auto previous = std::prev(before);
            if (previous->first + previous->second == first) {
                previous->second = end - previous->first;
                pages_ += count;
                return;
            }
        }
        runs_[first] = end - first;
        pages_ += count;
    }
    void erase(std::uint64_t first, std::uint64_t count) {
        const std::uint64_t end = first + count;
        auto run = runs_.upper_bound(first);
        if (run != runs_.begin()) --run;
        while (run != runs_.end() && run->first < end) {
            const std::uint64_t run_first = run->first;
            const std::uint64_t run_end = run_first + run->second;
            if (run_end <= first) {
                ++run;
                continue;
            }
            const std::uint64_t cut_first = run_first < first ? first : run_first;
            const std::uint64_t cut_end = run_end < end ? run_end : end;
            pages_ -= cut_end - cut_first;
            run = runs_.erase(run);
            if (run_first < cut_first) runs_[run_first] = cut_first - run_first;
            if (cut_end < run_end) run = runs_.emplace(cut_end, run_end - cut_end).first;
        }
    }
    bool contains(std::uint64_t page) const {
        const auto after = runs_.upper_bound(page);
        if (after == runs_.begin()) return false;
        const auto run = std::prev(after);
        return page - run->first < run->second;
    }
    std::uint64_t pages() const noexcept { return pages_; }
    void clear() noexcept {
        runs_.clear();
        pages_ = 0;
    }
    /// First page to number of pages, ascending, runs never touch.
    const std::map<std::uint64_t, std::uint64_t>& runs() const noexcept { return runs_; }

  private:
    std::map<std::uint64_t, std::uint64_t> runs_;
    std::uint64_t pages_ = 0;
};

}  // namespace hvsim::hv
