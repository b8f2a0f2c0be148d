from keras_t3d.data.sources.video_files import video_files
from tests.data.sources.files import touch


def test_videos_at_any_depth_in_the_order_of_their_names(tmp_path):
    touch(tmp_path, "b/2.MP4", "b/c/1.avi", "a.webm", "b/notes.txt", ".cache/3.mp4", "b/.4.mp4")
    assert list(video_files(tmp_path)) == ["a.webm", "b/2.MP4", "b/c/1.avi"]


def test_linked_files_and_folders_are_found_and_broken_links_are_not(tmp_path):
    elsewhere = touch(tmp_path / "disk", "1.mp4")
    root = touch(tmp_path / "root", "a/2.mp4")
    (root / "linked").symlink_to(elsewhere)
    (root / "3.mp4").symlink_to(elsewhere / "1.mp4")
    (root / "4.mp4").symlink_to(tmp_path / "nowhere.mp4")
    assert list(video_files(root)) == ["3.mp4", "a/2.mp4", "linked/1.mp4"]


def test_links_in_a_circle_end(tmp_path):
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert list(video_files(tmp_path)) == ["a/1.mp4"]


def test_a_folder_named_like_a_video_is_a_folder(tmp_path):
    touch(tmp_path, "frames.mp4/1.mp4")
    assert list(video_files(tmp_path)) == ["frames.mp4/1.mp4"]
