import torch

from isolux.solve.covariance import covariance


def test_inverse_of_a_well_conditioned_matrix():
    root = torch.randn(4, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    hessian = root @ root.transpose(1, 2) + torch.eye(5)
    found, usable = covariance(hessian, torch.zeros(4, 5, dtype=torch.bool))
    assert usable.all()
    assert torch.allclose(found, torch.linalg.inv(hessian), rtol=1e-9)


def test_scales_of_many_decades_do_not_matter():
    scale = torch.tensor([1e-12, 1.0, 1e9], dtype=torch.float64)
    matrix = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]], dtype=torch.float64)
    found, usable = covariance((matrix * scale[:, None] * scale)[None], torch.zeros(1, 3, dtype=torch.bool))
    assert usable.all()
    assert torch.allclose(found[0] * scale[:, None] * scale, torch.linalg.inv(matrix), rtol=1e-9)


def test_degenerate_unknowns_have_no_errors_and_say_so():
    hessian = torch.tensor(
        [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, -1.0]]]
    ).double()
    found, usable = covariance(hessian, torch.zeros(3, 2, dtype=torch.bool))
    assert not usable.any()
    assert torch.isnan(found).all()


def test_unknown_at_a_bound_is_left_out():
    hessian = torch.tensor([[[4.0, 1.0], [1.0, 2.0]]]).double()
    found, usable = covariance(hessian, torch.tensor([[False, True]]))
    assert usable.all()
    assert found[0, 0, 0] == 0.25
    assert torch.isnan(found[0, 1]).all()


def test_bad_row_leaves_the_others_alone():
    hessian = torch.eye(2).double().repeat(3, 1, 1)
    hessian[1] = torch.nan
    found, usable = covariance(hessian, torch.zeros(3, 2, dtype=torch.bool))
    assert usable.tolist() == [True, False, True]
    assert torch.equal(found[[0, 2]], torch.eye(2).double().repeat(2, 1, 1))
